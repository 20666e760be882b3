/** The version of uninet that this package belongs to: trials are only shared between equal versions. */
export { version } from "@uninet/trainer"

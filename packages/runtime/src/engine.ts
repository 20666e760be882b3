/** What `@uninet/engine` has. */
export * from "@uninet/engine"

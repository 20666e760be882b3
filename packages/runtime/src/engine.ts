/** Everything in `@uninet/engine`. */
export * from "@uninet/engine"

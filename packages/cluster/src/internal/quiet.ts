/** What the client and the migrator log of every lost connection is not for people; what they have to know is said in errors. */
import * as Layer from "effect/Layer"
import * as References from "effect/References"

export const quiet: Layer.Layer<never> = Layer.succeed(References.MinimumLogLevel, "None")

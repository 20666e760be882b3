/** The client and the migrator log every lost connection, which is not meant for people; what people have to know is in the errors. */
import * as Layer from "effect/Layer"
import * as References from "effect/References"

export const quiet: Layer.Layer<never> = Layer.succeed(References.MinimumLogLevel, "None")

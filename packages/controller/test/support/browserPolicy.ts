/** A page that searches by a policy, on whichever engine it has. */
import { Ppo, SearchStrategy } from "@uninet/controller"
import { Effect } from "effect"

Object.assign(globalThis, { service: SearchStrategy.pipe(Effect.provide(Ppo.layer())) })

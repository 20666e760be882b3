/** A page that searches with a policy, on any engine. */
import { Ppo, SearchStrategy } from "@uninet/controller"
import { Effect } from "effect"

Object.assign(globalThis, { service: SearchStrategy.pipe(Effect.provide(Ppo.layer())) })

/** What is searched: UniNet's networks for digits of 28 by 28, including the custom operator. */
import { UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import { kit } from "./operator.ts"

export const space = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))

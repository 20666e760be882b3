/** A progress bar on standard error, for a terminal. */
import { Presets, SingleBar } from "cli-progress"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The width available for a line. */
export const columns = (): number => (process.stderr.columns ?? 81) - 1

/** The width of the bar itself: the text next to it matters more. */
export const size = (): number => (columns() < 100 ? 12 : 24)

/** A bar with this format, not yet started; it disappears with the scope and leaves nothing behind. */
export const make = (format: string): Effect.Effect<SingleBar, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new SingleBar(
          {
            format,
            stream: process.stderr,
            hideCursor: true,
            barsize: size(),
            fps: 8,
            clearOnComplete: true,
            stopOnComplete: false,
            linewrap: false,
            gracefulExit: false
          },
          Presets.shades_classic
        )
    ),
    (bar) => Effect.sync(() => bar.stop())
  )

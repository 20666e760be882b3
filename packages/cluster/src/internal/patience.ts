/** Retries a database operation for as long as the patience lasts. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { SqlError } from "effect/sql"
import { DatabaseUnavailable } from "../ClusterError.ts"
import { Database } from "../Database.ts"
import { backoff, type Limit, once } from "./attempt.ts"

/** Tries until the database has done it, or has been unavailable for as long as the patience lasts. The machine's clock may jump in the meantime. */
export const persistently = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  limit?: Limit
): Effect.Effect<A, Exclude<E, SqlError.SqlError> | DatabaseUnavailable, R | Database> =>
  Database.use(({ name, patience, problemOf }) => {
    const began = performance.now()
    return once(effect, limit).pipe(
      Effect.retry({
        schedule: backoff,
        while: (error) => SqlError.isSqlError(error) && performance.now() - began < Duration.toMillis(patience)
      }),
      Effect.mapError(
        (error) =>
          SqlError.isSqlError(error)
            ? new DatabaseUnavailable({
                database: name,
                seconds: (performance.now() - began) / 1000,
                problem: problemOf(error)
              })
            : (error as Exclude<E, SqlError.SqlError>) // the guard has excluded the others, which the compiler cannot see for a type parameter
      )
    )
  })

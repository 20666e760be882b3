/** A record's value under a name that it is known to have, such as a task's output in a model that the task takes. */
export const named =
  (name: string) =>
  <A>(record: Readonly<Record<string, A>>): A => {
    const found = record[name]
    if (found === undefined) throw new Error(`there is no ${name} among ${Object.keys(record).join(", ")}`)
    return found
  }

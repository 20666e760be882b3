import * as Schema from "effect/Schema"

/** A setting of the search makes no sense. */
export class InvalidSearch extends Schema.TaggedError<InvalidSearch>()("InvalidSearch", {
  option: Schema.String,
  given: Schema.String,
  expected: Schema.String
}) {
  override get message() {
    return `${this.option} is ${this.given}. Give ${this.expected}.`
  }
}

/** The strategy proposes nothing that may be trained. */
export class SearchStuck extends Schema.TaggedError<SearchStuck>()("SearchStuck", {
  strategy: Schema.String,
  proposals: Schema.Int,
  why: Schema.String
}) {
  override get message() {
    return `The last ${this.proposals} proposals of the strategy ${this.strategy} were refused, the last one because ${this.why}. Loosen the constraints, or give them to the strategy too.`
  }
}

/** A network that was tested had to be trained again because its files are gone, and came out different. */
export class NotReproduced extends Schema.TaggedError<NotReproduced>()("NotReproduced", {
  trial: Schema.Int,
  measure: Schema.String,
  journal: Schema.Finite,
  now: Schema.Finite
}) {
  override get message() {
    return `The network of trial ${this.trial} is not the one that was tested: its ${this.measure} on the test split is ${this.now}, but the journal has ${this.journal}. Continue with the data, the software and the machine that the search was finished with; nothing was changed.`
  }
}

/** No trial gave a result, so there is no best one. */
export class NothingFound extends Schema.TaggedError<NothingFound>()("NothingFound", {
  trials: Schema.Int,
  /** The most common cause, in words. */
  cause: Schema.String
}) {
  override get message() {
    return `None of ${this.trials} trial${this.trials === 1 ? "" : "s"} gave a result; the most common cause: ${this.cause}. Fix what they have in common, then search again.`
  }
}

import * as Schema from "effect/Schema"

/** The file is missing, or cannot be imported. */
export class ConfigUnreadable extends Schema.TaggedError<ConfigUnreadable>()("ConfigUnreadable", {
  path: Schema.String,
  problem: Schema.String,
  remedy: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `${this.path} ${this.problem}. ${this.remedy ?? "Give a module with a default export, such as defineConfig({ … })"}.`
  }
}

/** A field of the module is invalid. */
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  path: Schema.String,
  /** Such as `recipe.batch`. Empty for the module as a whole. */
  field: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.field === "" ? "its default export" : `the field ${this.field}`} is wrong: ${this.problem}. Correct it.`
  }
}

/** The module has changed since the search began. */
export class ConfigChanged extends Schema.TaggedError<ConfigChanged>()("ConfigChanged", {
  path: Schema.String,
  was: Schema.String,
  is: Schema.String
}) {
  override get message() {
    return `${this.path} was changed while the search was running (its version was ${this.was} and is now ${this.is}), and results of the two must not be mixed. Restore it, or start a new search.`
  }
}

/** A layer from the config could not be built. */
export class ConfigLayerFailed extends Schema.TaggedError<ConfigLayerFailed>()("ConfigLayerFailed", {
  path: Schema.String,
  field: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.path}: the layer ${this.field} cannot be made: ${this.detail}`
  }
}

/** The errors of a config. */
export type ConfigError = ConfigUnreadable | ConfigInvalid | ConfigChanged | ConfigLayerFailed

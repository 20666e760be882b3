import * as Schema from "effect/Schema"

/** Examples that the networks of a space cannot take. */
export class NotPictures extends Schema.TaggedError<NotPictures>()("NotPictures", {
  space: Schema.String,
  has: Schema.String
}) {
  override get message() {
    return `${this.space}'s networks classify pictures [channels×height×width] by the input image, but the examples have ${this.has}; give a data set of pictures with classes, or another space`
  }
}

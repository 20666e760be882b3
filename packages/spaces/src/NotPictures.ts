import * as Schema from "effect/Schema"

/** Examples that the networks of a space cannot take. */
export class NotPictures extends Schema.TaggedError<NotPictures>()("NotPictures", {
  space: Schema.String,
  has: Schema.String
}) {
  override get message() {
    return `${this.space}'s networks classify images [channels×height×width] from an input named image, but the examples have ${this.has}; give a data set of images with classes, or another space`
  }
}

// What is thrown, with the sentences that the Python package uses.

/** A wrong argument: the message says what was expected. */
export class ValueError extends Error {
  name = "ValueError";
}

/** A file was refused. Fields that do not apply are null. */
export class BlobError extends ValueError {
  name = "BlobError";

  constructor(message, { status, code, node, kernel, tensor, check, detail }) {
    super(message);
    Object.assign(this, { status, code, node, kernel, tensor, check, detail });
  }
}

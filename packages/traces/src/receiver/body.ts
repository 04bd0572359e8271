import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/** The request is answered with this HTTP status and message. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const inflate = promisify(gunzip);

/**
 * Reads the body of a request and inflates it; neither form may be larger than `maxBytes`.
 *
 * @throws HttpError with 413 when it is larger, 415 for an unknown encoding, 400 for broken gzip.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const raw = await collect(request, maxBytes);
  if (encoding === "identity" || encoding === "") return raw;
  if (encoding !== "gzip") throw new HttpError(415, `content encoding "${encoding}" is not taken`);
  try {
    return await inflate(raw, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new HttpError(413, `the body inflates to more than ${maxBytes} bytes`);
    }
    throw new HttpError(400, `the body is no gzip: ${String(error)}`);
  }
}

async function collect(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // The rest of a large body is read and dropped: a client whose connection closes while it still writes gets a
  // connection error instead of the 413. Only up to a limit, because a body may be endless.
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    length += bytes.length;
    if (length <= maxBytes) chunks.push(bytes);
    else chunks.length = 0;
    if (length > 8 * maxBytes) break;
  }
  if (length > maxBytes) throw new HttpError(413, `the body is larger than ${maxBytes} bytes`);
  return Buffer.concat(chunks);
}

import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/** Why a request is refused. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const inflate = promisify(gunzip);

/**
 * Reads a request's body and inflates it; neither form may be larger than `maxBytes`.
 *
 * @throws Refusal with 413 when it is larger, 415 for an unknown encoding, 400 for broken gzip.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const raw = await collect(request, maxBytes);
  if (encoding === "identity" || encoding === "") return raw;
  if (encoding !== "gzip") throw new Refusal(415, `content encoding "${encoding}" is not taken`);
  try {
    return await inflate(raw, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new Refusal(413, `the body inflates to more than ${maxBytes} bytes`);
    }
    throw new Refusal(400, `the body is no gzip: ${String(error)}`);
  }
}

async function collect(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // The rest of a large body is still read, and not kept: a client that is cut off while it writes sees a
  // broken connection instead of the refusal. Up to a limit, because a stream need not end.
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    length += bytes.length;
    if (length <= maxBytes) chunks.push(bytes);
    if (length > 8 * maxBytes) break;
  }
  if (length > maxBytes) throw new Refusal(413, `the body is larger than ${maxBytes} bytes`);
  return Buffer.concat(chunks);
}

import { decodeJson } from "./json.js";
import { decodeProtobuf } from "./protobuf.js";
import type { Encoding } from "./reply.js";
import type { Decoded } from "./span-builder.js";

export type { Encoding } from "./reply.js";
export { type Decoded, OtlpDecodeError } from "./span-builder.js";

/**
 * Decodes one OTLP trace request, which must be inflated already.
 *
 * @param receivedAtMs - set on every span, in milliseconds since the epoch
 * @throws OtlpDecodeError, and no other error, when the bytes are not such a request.
 */
export function decodeTraces(body: Uint8Array, encoding: Encoding, receivedAtMs: number): Decoded {
  return encoding === "json" ? decodeJson(body, receivedAtMs) : decodeProtobuf(body, receivedAtMs);
}

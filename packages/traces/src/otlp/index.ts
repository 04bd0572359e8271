import { decodeJson } from "./json.js";
import { decodeProtobuf } from "./protobuf.js";
import type { Encoding } from "./reply.js";
import type { Decoded } from "./span-builder.js";

/**
 * Reads one OTLP trace request, inflated already. `receivedAtMs` is written on every span.
 *
 * @throws OtlpDecodeError, and nothing else, whatever the bytes are.
 */
export function decodeTraces(body: Uint8Array, encoding: Encoding, receivedAtMs: number): Decoded {
  return encoding === "json" ? decodeJson(body, receivedAtMs) : decodeProtobuf(body, receivedAtMs);
}

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Decoded } from "./span-builder.js";

/** The two encodings of OTLP. A response has the encoding of its request. */
export type Encoding = "protobuf" | "json";

/** Encodes an ExportTraceServiceResponse: empty when every span was accepted, else with `partial_success`. */
export function encodeResponse(result: Decoded, encoding: Encoding): Buffer {
  if (encoding === "json") {
    return json(
      result.rejected === 0
        ? {}
        : {
            partialSuccess: {
              rejectedSpans: String(result.rejected),
              errorMessage: result.reason,
            },
          },
    );
  }
  if (result.rejected === 0) return Buffer.alloc(0);
  const partial = new BinaryWriter();
  partial.tag(1, WireType.Varint).int64(result.rejected);
  partial.tag(2, WireType.LengthDelimited).string(result.reason);
  const response = new BinaryWriter();
  response.tag(1, WireType.LengthDelimited).bytes(partial.finish());
  return Buffer.from(response.finish());
}

/** Encodes a google.rpc.Status, which OTLP requires in the body of every error response. */
export function encodeStatus(code: number, message: string, encoding: Encoding): Buffer {
  if (encoding === "json") return json({ code, message });
  const status = new BinaryWriter();
  status.tag(1, WireType.Varint).int32(code);
  status.tag(2, WireType.LengthDelimited).string(message);
  return Buffer.from(status.finish());
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

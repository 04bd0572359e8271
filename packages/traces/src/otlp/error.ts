/** The bytes are no OTLP trace request. The only error that decoding throws; `cause` holds the parser's own. */
export class OtlpDecodeError extends Error {
  override readonly name = "OtlpDecodeError";
}

import { status } from "@grpc/grpc-js";
import { HttpException } from "@nestjs/common";
import { messageOf } from "../../system/spans.js";

const HTTP_STATUS: ReadonlyMap<unknown, readonly [number, string]> = new Map([
  [status.INVALID_ARGUMENT, [400, "INVALID"]],
  [status.UNAVAILABLE, [503, "UNAVAILABLE"]],
  [status.RESOURCE_EXHAUSTED, [503, "UNAVAILABLE"]],
  [status.DEADLINE_EXCEEDED, [504, "TIMEOUT"]],
]);

/** The HTTP error for a failure of the orchestrator. It has no internal details. */
export function toHttpError(error: unknown, requestId: string): HttpException {
  const code =
    typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  const [httpStatus, name] = HTTP_STATUS.get(code) ?? [500, "INTERNAL"];
  const message = name === "INTERNAL" ? "the request could not be answered" : detailsOf(error);
  return new HttpException({ error: { code: name, message }, request_id: requestId }, httpStatus, {
    cause: error,
  });
}

function detailsOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "details" in error)
    return String(error.details);
  return messageOf(error);
}

import { type IncomingMessage, validateHeaderName } from "node:http";
import { type InstrumenterSettings, type TracingOptions, wrongOption } from "@traceferry/core";
import { VERSION } from "./version.js";

/**
 * Requests that get no span: those of exactly this path, those whose path matches, or those for which the
 * function says so. The path is without its query.
 */
export type IgnoreRule = string | RegExp | ((request: IncomingMessage) => boolean);

/**
 * What the tracing of a Nest application can be told. All of it may be left out. A function as `relation` is
 * asked about the `IncomingMessage` of a request, or about what Nest gives a message handler as its context:
 * a `KafkaContext`, a `TcpContext`, the call for gRPC.
 */
export interface TracingModuleOptions extends TracingOptions<unknown> {
  /**
   * HTTP requests that get no span, health checks for one. The context of their sender is active all the same,
   * so what they send on stays in its trace. Default: none.
   */
  readonly ignore?: IgnoreRule | readonly IgnoreRule[];
  /**
   * The response header that tells the caller the id of the trace, error responses included; `false` for none.
   * Default: `"X-Trace-Id"`.
   */
  readonly responseHeader?: string | false;
}

/** Where the options lie in Nest's container; the same symbol in every copy of this package. */
export const TRACING_OPTIONS: unique symbol = Symbol.for("@traceferry/nestjs options");

/** The options that only HTTP has, with their defaults. */
export interface HttpOptions {
  readonly ignore: readonly IgnoreRule[];
  readonly responseHeader: string | false;
}

/** @throws TypeError when an option is wrong; it names the option and its value. */
export function resolveHttpOptions(options: TracingModuleOptions): HttpOptions {
  const { ignore = [], responseHeader = "X-Trace-Id" } = options;
  const rules: readonly unknown[] = Array.isArray(ignore) ? ignore : [ignore];
  if (!rules.every(isIgnoreRule)) {
    throw wrongOption("ignore", "a path, a RegExp, a function, or a list of these", ignore);
  }
  if (responseHeader !== false && !isHeaderName(responseHeader)) {
    throw wrongOption("responseHeader", "the name of a header, or false", responseHeader);
  }
  return { ignore: rules, responseHeader };
}

function isIgnoreRule(rule: unknown): rule is IgnoreRule {
  return typeof rule === "string" || typeof rule === "function" || rule instanceof RegExp;
}

function isHeaderName(name: unknown): boolean {
  if (typeof name !== "string") return false;
  try {
    validateHeaderName(name);
    return true;
  } catch {
    return false;
  }
}

const SETTINGS = {
  name: "nestjs",
  scope: "@traceferry/nestjs",
  version: VERSION,
  maxBytes: 8192,
} as const;

/** The settings of an instrumenter for messages, whose spans also link their sender. */
export const MESSAGE_SETTINGS: InstrumenterSettings = { ...SETTINGS, messaging: true };

/** The settings of an instrumenter for HTTP requests and RPC calls. */
export const CALL_SETTINGS: InstrumenterSettings = { ...SETTINGS, messaging: false };

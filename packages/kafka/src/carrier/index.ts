import { type Context, ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import { SETTINGS } from "../options.js";
import { type KafkaHeaders, kafkaGetter, withFields } from "./headers.js";

export { type HeaderValue, type KafkaHeaders, kafkaGetter } from "./headers.js";

const globalInstrumenter = new Instrumenter(SETTINGS);

/**
 * Headers for a record that continues a trace, for code of your own: of the same form as those given, a new
 * object, without what an earlier trace left in them. The same object where there is nothing to send.
 *
 * @param headers - default: none, which gives an object for kafkajs
 * @param from - the context to send. Default: the active one.
 */
export function injectHeaders(headers?: undefined, from?: Context): Record<string, string>;
export function injectHeaders<Headers extends KafkaHeaders>(
  headers: Headers | undefined,
  from?: Context,
): Headers;
export function injectHeaders(headers: unknown = {}, from?: Context): unknown {
  const injection = globalInstrumenter.inject(from);
  if (injection === undefined) return headers;
  try {
    return withFields(headers, injection) ?? headers;
  } catch (error) {
    globalInstrumenter.reporter.fault("inject", error);
    return headers;
  }
}

/**
 * The context in which a record was sent, for code of your own: in `eachBatch`, in a stream. Reads every form
 * of headers, and any letter case; where a key is repeated the last sound value counts.
 *
 * @param base - what the context is put into. Its own span and baggage do not stay. Default: the root context.
 * @returns the base with the sender's span, remote, and baggage; without a valid sender the base without span
 */
export function extractHeaders(
  headers: KafkaHeaders | null | undefined,
  base: Context = ROOT_CONTEXT,
): Context {
  // Without the span: in a handler it is the one that was made for this very record, and would be found.
  return globalInstrumenter.extract(headers, kafkaGetter, undefined, withoutSpan(base)).parent;
}

import {
  context,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import {
  type ActiveSpan,
  type Instrumenter,
  isTracingSuppressed,
  withSpan,
} from "@traceferry/core";
import { identifiesRecord, processAttributes } from "./attributes.js";
import { kafkaGetter } from "./carrier/index.js";
import { type ConsumerOptions, createInstrumenter, type IncomingRecord } from "./options.js";
import { copyWith, isMethod, isObject, isWrapped, wrap } from "./wrap.js";

/** A consumer as kafkajs makes it. */
export interface ConsumerLike {
  run(config: never): Promise<unknown>;
}

// The fields of the configuration of `run`, besides `eachMessage`.
const RUN_FIELDS = [
  "autoCommit",
  "autoCommitInterval",
  "autoCommitThreshold",
  "eachBatch",
  "eachBatchAutoResolve",
  "partitionsConsumedConcurrently",
];

/**
 * Wraps a handler of single messages so that it runs inside the sender's trace, in a span `process <topic>`
 * that ends when the handler is done. Works in `consumer.run({ eachMessage })` and in a loop of your own. What
 * the handler throws is recorded and thrown on.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceEachMessage<Payload extends IncomingRecord, Result>(
  handler: (payload: Payload) => Result,
  options: ConsumerOptions = {},
): (payload: Payload) => Result {
  const incoming = new Incoming(createInstrumenter(options), options);
  return (payload) => incoming.process(payload, () => handler(payload));
}

/**
 * Wraps a consumer so that its `run` traces `eachMessage`; `eachBatch` is passed on untraced. Neither the given
 * consumer nor the configuration of `run` is changed. A consumer that is traced already is returned as it is.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceConsumer<Consumer extends ConsumerLike>(
  consumer: Consumer,
  options: ConsumerOptions = {},
): Consumer {
  return new Incoming(createInstrumenter(options), options).wrapConsumer(consumer);
}

/** Traces what one client, or one consumer, receives. */
export class Incoming {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #groupId: string | undefined;
  readonly #clientId: string | undefined;

  constructor(instrumenter: Instrumenter<IncomingRecord>, { groupId, clientId }: ConsumerOptions) {
    this.#instrumenter = instrumenter;
    this.#groupId = groupId;
    this.#clientId = clientId;
  }

  /** Wraps a consumer; one that is traced already is returned as it is. */
  wrapConsumer<Consumer extends object>(consumer: Consumer): Consumer {
    if (isWrapped(consumer)) return consumer;
    return wrap(consumer, {
      run: (original, [config, ...rest]) =>
        Reflect.apply(original, consumer, [this.#traceConfig(config), ...rest]),
    });
  }

  // kafkajs itself answers a missing configuration, and one of a wrong type.
  #traceConfig(config: unknown): unknown {
    try {
      if (!isObject(config)) return config;
      const eachMessage: unknown = Reflect.get(config, "eachMessage");
      if (!isMethod(eachMessage)) return config;
      const incoming = this;
      return copyWith(config, RUN_FIELDS, {
        eachMessage(this: unknown, ...args: unknown[]): unknown {
          return incoming.process(args[0], () => Reflect.apply(eachMessage, this, args));
        },
      });
    } catch (error) {
      this.#instrumenter.reporter.fault("run", error);
      return config;
    }
  }

  /** Runs the handler of a record in a span of its own, or without one where none is to be made. */
  process<Result>(payload: unknown, handler: () => Result): Result {
    const activeSpan = this.#startSpan(payload);
    return activeSpan === undefined ? handler() : withSpan(activeSpan, handler);
  }

  #startSpan(payload: unknown): ActiveSpan | undefined {
    try {
      const active = context.active();
      if (!isIncomingRecord(payload) || isTracingSuppressed(active)) return undefined;
      const ambient = trace.getSpan(active);
      // Handlers run in the context in which `run` was called, long ago: of it only a live span is used.
      const live = ambient?.isRecording() === true ? ambient : undefined;
      const base = live === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, live);
      const extraction = this.#instrumenter.extract(
        payload.message.headers,
        kafkaGetter,
        payload,
        base,
      );
      if (extraction.spanInProgress !== undefined || isSpanForRecord(live, payload)) {
        return undefined;
      }
      const { parent, links } = extraction;
      const plan = {
        name: `process ${payload.topic}`,
        kind: SpanKind.CONSUMER,
        attributes: processAttributes(payload, this.#groupId, this.#clientId),
        parent,
        links: live === undefined ? links : [...links, ...linkTo(live)],
      };
      return this.#instrumenter.startSpan(plan, extraction);
    } catch (error) {
      this.#instrumenter.reporter.fault("process", error);
      return undefined;
    }
  }
}

function isIncomingRecord(payload: unknown): payload is IncomingRecord {
  return (
    isObject(payload) &&
    typeof Reflect.get(payload, "topic") === "string" &&
    isObject(Reflect.get(payload, "message"))
  );
}

// Finds another instrumentation's span also where the record has no sender, or one that it could not read.
function isSpanForRecord(span: Span | undefined, record: IncomingRecord): boolean {
  if (span === undefined) return false;
  // Fields of the SDK's spans, of both major versions; the API has no way to read them.
  const isConsumer = Reflect.get(span, "kind") === SpanKind.CONSUMER;
  return isConsumer && identifiesRecord(Reflect.get(span, "attributes"), record);
}

// The conventions ask for a link to the ambient span where the sender is the parent instead.
function linkTo(span: Span): Link[] {
  const spanContext = span.spanContext();
  return isSpanContextValid(spanContext) ? [{ context: spanContext }] : [];
}

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
import { isAbout, processAttributes } from "./attributes.js";
import { kafkaGetter } from "./carrier/index.js";
import { type ConsumerOptions, createInstrumenter, type IncomingRecord } from "./options.js";
import { copyWith, isMethod, isObject, isOverlay, overlay } from "./wrap.js";

/** A consumer as kafkajs makes it. */
export interface ConsumerLike {
  run(config: never): Promise<unknown>;
}

/**
 * Wraps a handler of single messages so that it runs inside the sender's trace, in a span `process <topic>`
 * that ends when the handler is done. It works in `consumer.run({ eachMessage })` and in a loop of your own.
 * What the handler throws passes through.
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
 * A consumer whose `run` traces `eachMessage`. The consumer that is given, and the configuration of `run`,
 * stay as they are; `eachBatch` is passed on untraced.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceConsumer<Consumer extends ConsumerLike>(
  consumer: Consumer,
  options: ConsumerOptions = {},
): Consumer {
  return new Incoming(createInstrumenter(options), options).consumer(consumer);
}

const RUN_FIELDS = [
  "autoCommit",
  "autoCommitInterval",
  "autoCommitThreshold",
  "eachBatch",
  "eachBatchAutoResolve",
  "partitionsConsumedConcurrently",
];

/** The receiving side of one client or consumer. */
export class Incoming {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #groupId: string | undefined;
  readonly #clientId: string | undefined;

  constructor(instrumenter: Instrumenter<IncomingRecord>, { groupId, clientId }: ConsumerOptions) {
    this.#instrumenter = instrumenter;
    this.#groupId = groupId;
    this.#clientId = clientId;
  }

  consumer<Consumer extends object>(consumer: Consumer): Consumer {
    if (isOverlay(consumer)) return consumer;
    return overlay(consumer, {
      run: (bare, [config, ...rest]) =>
        Reflect.apply(bare, consumer, [this.#traced(config), ...rest]),
    });
  }

  // kafkajs answers a missing configuration, and one of a wrong type, in its own way.
  #traced(config: unknown): unknown {
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

  /** Runs what is to be done with a record in a span of its own, or as it is where there should be none. */
  process<Result>(payload: unknown, next: () => Result): Result {
    const open = this.#open(payload);
    return open === undefined ? next() : withSpan(open, next);
  }

  #open(payload: unknown): ActiveSpan | undefined {
    try {
      const active = context.active();
      if (!isRecord(payload) || isTracingSuppressed(active)) return undefined;
      const ambient = trace.getSpan(active);
      // Handlers run in the context in which `run` was called, long ago: nothing but a live span counts.
      const live = ambient?.isRecording() === true ? ambient : undefined;
      const base = live === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, live);
      const extraction = this.#instrumenter.extract(
        payload.message.headers,
        kafkaGetter,
        payload,
        base,
      );
      if (extraction.spanInProgress !== undefined || isOfRecord(live, payload)) return undefined;
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

function isRecord(payload: unknown): payload is IncomingRecord {
  return (
    isObject(payload) &&
    typeof Reflect.get(payload, "topic") === "string" &&
    isObject(Reflect.get(payload, "message"))
  );
}

// Another instrumentation's span for a record without a sender, or with one that it could not read.
function isOfRecord(span: Span | undefined, record: IncomingRecord): boolean {
  if (span === undefined) return false;
  // The SDK's own fields, of both lines; the API has no way to ask for them.
  const isConsumer = Reflect.get(span, "kind") === SpanKind.CONSUMER;
  return isConsumer && isAbout(Reflect.get(span, "attributes"), record);
}

// The conventions ask for it where the sender, and not the span around, is the parent.
function linkTo(span: Span): Link[] {
  const around = span.spanContext();
  return isSpanContextValid(around) ? [{ context: around }] : [];
}

import { type Context, context, type Link, SpanKind } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { recordMetadataAttributes, sendAttributes } from "../attributes.js";
import { withFields } from "../carrier/index.js";
import type { IncomingRecord } from "../options.js";
import { copyWith, isObject } from "../wrap.js";
import { firstRecordsByTopic, metadataOfMessages } from "./record-metadata.js";

/** A producer that messages are sent by, or one transaction of it. */
export interface SendTarget {
  /**
   * True when another instrumentation has patched it: that instrumentation makes the spans, and its traceparent
   * replaces the one injected here.
   */
  readonly patched: boolean;
  /** Collects links to the messages of a transaction, for the span that ends it. */
  readonly links?: Link[];
}

/** A transaction that messages are sent in. */
export type TransactionTarget = Required<SendTarget>;

interface PendingSpan {
  readonly activeSpan: ActiveSpan;
  /** The partition that the message requests. */
  readonly partition: unknown;
}

const RECORD_FIELDS = ["topic", "acks", "timeout", "compression"];
const MESSAGE_FIELDS = ["key", "value", "partition", "timestamp"];
// The number of links that SDKs keep by default.
const MAX_LINKS = 128;

/** One call of `send` or `sendBatch`: a span and a context for each of its messages, until the broker answers. */
export class SendBatch {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #clientId: string | undefined;
  readonly #target: SendTarget;
  readonly #parent: Context = context.active();
  // By topic, in the order of sending and so of offsets: kafkajs merges repeated topics in the same way.
  readonly #pendingSpans = new Map<string, PendingSpan[]>();
  // True when each message has its span: only then can offsets be counted.
  #complete = false;

  constructor(
    instrumenter: Instrumenter<IncomingRecord>,
    clientId: string | undefined,
    target: SendTarget,
  ) {
    this.#instrumenter = instrumenter;
    this.#clientId = clientId;
    this.#target = target;
  }

  /**
   * Starts the spans and returns the arguments to call the client with: the given ones where there is nothing
   * to inject, or where tracing fails.
   */
  start(operation: "send" | "sendBatch", args: readonly unknown[]): readonly unknown[] {
    try {
      const [record, ...rest] = args;
      if (!isObject(record)) return args;
      const traced = operation === "send" ? this.#traceTopic(record) : this.#traceTopics(record);
      this.#complete = true;
      return [traced, ...rest];
    } catch (error) {
      this.#instrumenter.reporter.fault("send", error);
      return args;
    }
  }

  #traceTopics(batch: object): object {
    const topicMessages: unknown = Reflect.get(batch, "topicMessages");
    const traced = mapList(topicMessages, (entry) =>
      isObject(entry) ? this.#traceTopic(entry) : entry,
    );
    return traced === topicMessages
      ? batch
      : copyWith(batch, RECORD_FIELDS, { topicMessages: traced });
  }

  // An invalid topic, list or message is passed on as it is, for the client to refuse.
  #traceTopic(record: object): object {
    const topic: unknown = Reflect.get(record, "topic");
    const messages: unknown = Reflect.get(record, "messages");
    if (typeof topic !== "string" || topic === "") return record;
    const traced = mapList(messages, (message) =>
      isObject(message) ? this.#traceMessage(topic, message) : message,
    );
    return traced === messages ? record : copyWith(record, RECORD_FIELDS, { messages: traced });
  }

  #traceMessage(topic: string, message: object): object {
    const activeSpan = this.#target.patched ? undefined : this.#startSpan(topic, message);
    // kafkajs refuses it, and quotes it in the error: it must be the caller's.
    if (Reflect.get(message, "value") === undefined) return message;
    const injection = this.#instrumenter.inject(
      activeSpan === undefined ? this.#parent : activeSpan.context,
    );
    if (injection === undefined) return message;
    const headers = withFields(Reflect.get(message, "headers"), injection);
    return headers === undefined ? message : copyWith(message, MESSAGE_FIELDS, { headers });
  }

  #startSpan(topic: string, message: object): ActiveSpan {
    const partition: unknown = Reflect.get(message, "partition");
    const value: unknown = Reflect.get(message, "value");
    const activeSpan = this.#instrumenter.startSpan({
      name: `send ${topic}`,
      kind: SpanKind.PRODUCER,
      attributes: sendAttributes(topic, this.#clientId, partition, value),
      parent: this.#parent,
    });
    const pending = this.#pendingSpans.get(topic);
    if (pending === undefined) this.#pendingSpans.set(topic, [{ activeSpan, partition }]);
    else pending.push({ activeSpan, partition });
    this.#addTransactionLink(activeSpan);
    return activeSpan;
  }

  #addTransactionLink({ span }: ActiveSpan): void {
    const { links } = this.#target;
    if (links === undefined || links.length >= MAX_LINKS) return;
    links.push({ context: span.spanContext() });
  }

  /** Ends the spans with the partition and offset of their messages, as far as the broker's response tells them. */
  acknowledge(response: unknown): void {
    try {
      const byTopic = firstRecordsByTopic(this.#complete ? response : undefined);
      for (const [topic, pending] of this.#pendingSpans) {
        const metadata = metadataOfMessages(byTopic.get(topic), pending);
        for (const [index, { partition, offset }] of metadata.entries()) {
          pending[index]?.activeSpan.set(recordMetadataAttributes(partition, offset));
        }
      }
    } catch (error) {
      this.#instrumenter.reporter.fault("acknowledge", error);
    }
    this.#endSpans();
  }

  /** Ends the spans as failed: the call failed, and with it each of its messages. */
  fail(error: unknown): void {
    for (const pending of this.#pendingSpans.values()) {
      for (const { activeSpan } of pending) activeSpan.fail(error);
    }
    this.#endSpans();
  }

  #endSpans(): void {
    for (const pending of this.#pendingSpans.values()) {
      for (const { activeSpan } of pending) activeSpan.end();
    }
  }
}

// Maps a list; returns the same one where no entry changed, and a value that is no list as it is.
function mapList(list: unknown, change: (entry: unknown) => unknown): unknown {
  if (!Array.isArray(list)) return list;
  const before: readonly unknown[] = list;
  const after = before.map(change);
  return after.some((entry, index) => entry !== before[index]) ? after : list;
}

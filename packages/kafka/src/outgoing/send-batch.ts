import { type Context, context, type Link, SpanKind } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { placeAttributes, sendAttributes } from "../attributes.js";
import { withFields } from "../carrier/headers.js";
import type { IncomingRecord } from "../options.js";
import { copyWith, isObject } from "../wrap.js";
import { placesOf, topicsOf } from "./record-metadata.js";

/** Where messages go out: a producer, or one transaction of it. */
export interface Route {
  /** Somebody else's patching lies below: the spans are theirs, and they write over our traceparent. */
  readonly patched: boolean;
  /** Collects the messages of a transaction, for the span that ends it. */
  readonly sent?: Link[];
}

interface Sent {
  readonly open: ActiveSpan;
  /** The partition that the message asks for. */
  readonly partition: unknown;
}

const RECORD_FIELDS = ["topic", "acks", "timeout", "compression"];
const MESSAGE_FIELDS = ["key", "value", "partition", "timestamp"];
// Links that SDKs keep by default.
const MAX_LINKS = 128;

/** One call of `send` or `sendBatch`: a span and a context for each of its messages, until the broker answers. */
export class Sending {
  readonly #instrumenter: Instrumenter<IncomingRecord>;
  readonly #clientId: string | undefined;
  readonly #route: Route;
  readonly #parent: Context = context.active();
  // In the order of sending, which is the order of offsets: kafkajs, too, puts repeated topics together.
  readonly #sent = new Map<string, Sent[]>();
  // Whether each message has its span: only then can they be counted.
  #complete = false;

  constructor(
    instrumenter: Instrumenter<IncomingRecord>,
    clientId: string | undefined,
    route: Route,
  ) {
    this.#instrumenter = instrumenter;
    this.#clientId = clientId;
    this.#route = route;
  }

  /** The arguments to call the client with: the given ones where nothing is to be sent, or where we fail. */
  begin(form: "send" | "sendBatch", args: readonly unknown[]): readonly unknown[] {
    try {
      const [record, ...rest] = args;
      if (!isObject(record)) return args;
      const traced = form === "send" ? this.#topic(record) : this.#topics(record);
      this.#complete = true;
      return [traced, ...rest];
    } catch (error) {
      this.#instrumenter.reporter.fault("send", error);
      return args;
    }
  }

  #topics(record: object): object {
    const topicMessages: unknown = Reflect.get(record, "topicMessages");
    const traced = mapped(topicMessages, (entry) => (isObject(entry) ? this.#topic(entry) : entry));
    return traced === topicMessages
      ? record
      : copyWith(record, RECORD_FIELDS, { topicMessages: traced });
  }

  // What is no topic, no list or no message makes the client fail; it gets it as it is.
  #topic(record: object): object {
    const topic: unknown = Reflect.get(record, "topic");
    const messages: unknown = Reflect.get(record, "messages");
    if (typeof topic !== "string" || topic === "") return record;
    const traced = mapped(messages, (message) =>
      isObject(message) ? this.#message(topic, message) : message,
    );
    return traced === messages ? record : copyWith(record, RECORD_FIELDS, { messages: traced });
  }

  #message(topic: string, message: object): object {
    const open = this.#route.patched ? undefined : this.#open(topic, message);
    // kafkajs refuses it, and quotes it in the error as it is.
    if (Reflect.get(message, "value") === undefined) return message;
    const injection = this.#instrumenter.inject(open === undefined ? this.#parent : open.context);
    if (injection === undefined) return message;
    const headers = withFields(Reflect.get(message, "headers"), injection);
    return headers === undefined ? message : copyWith(message, MESSAGE_FIELDS, { headers });
  }

  #open(topic: string, message: object): ActiveSpan {
    const partition: unknown = Reflect.get(message, "partition");
    const value: unknown = Reflect.get(message, "value");
    const open = this.#instrumenter.startSpan({
      name: `send ${topic}`,
      kind: SpanKind.PRODUCER,
      attributes: sendAttributes(topic, this.#clientId, partition, value),
      parent: this.#parent,
    });
    const sent = this.#sent.get(topic);
    if (sent === undefined) this.#sent.set(topic, [{ open, partition }]);
    else sent.push({ open, partition });
    this.#remember(open);
    return open;
  }

  #remember(open: ActiveSpan): void {
    const { sent } = this.#route;
    if (sent === undefined || sent.length >= MAX_LINKS) return;
    sent.push({ context: open.span.spanContext() });
  }

  /** The broker has it all. Nothing happens here but notes on spans: clients call this between requests. */
  acknowledge(metadata: unknown): void {
    try {
      const topics = topicsOf(this.#complete ? metadata : undefined);
      for (const [topic, sent] of this.#sent) {
        const places = placesOf(topics.get(topic), sent);
        for (const [index, place] of places.entries()) {
          sent[index]?.open.set(placeAttributes(place.partition, place.offset));
        }
      }
    } catch (error) {
      this.#instrumenter.reporter.fault("acknowledge", error);
    }
    this.#end();
  }

  /** The call failed, and with it every message. */
  fail(error: unknown): void {
    for (const sent of this.#sent.values()) for (const { open } of sent) open.fail(error);
    this.#end();
  }

  #end(): void {
    for (const sent of this.#sent.values()) for (const { open } of sent) open.end();
  }
}

// The same list where nothing in it has changed, and what is no list as it is.
function mapped(list: unknown, change: (entry: unknown) => unknown): unknown {
  if (!Array.isArray(list)) return list;
  const before: readonly unknown[] = list;
  const after = before.map(change);
  return after.some((entry, index) => entry !== before[index]) ? after : list;
}

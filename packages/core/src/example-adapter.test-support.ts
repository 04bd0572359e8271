import { context, SpanKind } from "@opentelemetry/api";
import {
  type Injection,
  Instrumenter,
  SanitizingGetter,
  type TracingOptions,
  withSpan,
} from "@traceferry/core";

interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

// The adapter's name and scope, that it follows the conventions for messaging, and its default for `maxBytes`.
const SETTINGS = {
  name: "example",
  scope: "example-adapter",
  version: "1.0.0",
  messaging: true,
  maxBytes: 8192,
};

// Keys are lower case here and any case in the message. A header that is there twice is given twice.
const getter = new SanitizingGetter<Message>({
  read: ({ headers }, key) =>
    Object.entries(headers).flatMap(([name, value]) => (name.toLowerCase() === key ? value : [])),
  keys: ({ headers }) => Object.keys(headers),
});

/** Makes a handler that runs inside the sender's trace. */
export function traceHandler<T>(
  handle: (message: Message) => T,
  options: TracingOptions<Message> = {},
): (message: Message) => T {
  const instrumenter = new Instrumenter(SETTINGS, options);
  return (message) => {
    const extraction = instrumenter.extract(message, getter, message);
    if (extraction.spanInProgress !== undefined) return handle(message);
    const { parent, links } = extraction;
    const plan = { name: "process orders", kind: SpanKind.CONSUMER, parent, links };
    return withSpan(instrumenter.startSpan(plan, extraction), () => handle(message));
  };
}

/** Makes a send function that sends the trace along. */
export function traceSender<T>(
  send: (message: Message) => T,
  options: TracingOptions = {},
): (message: Message) => T {
  const instrumenter = new Instrumenter(SETTINGS, options);
  return (message) => {
    const plan = { name: "send orders", kind: SpanKind.PRODUCER, parent: context.active() };
    const span = instrumenter.startSpan(plan);
    return withSpan(span, () => send(withFields(message, instrumenter.inject(span.context))));
  };
}

// Returns the message itself where there is nothing to inject, else a copy without the fields of an earlier trace.
function withFields(message: Message, injection: Injection | undefined): Message {
  if (injection === undefined) return message;
  const kept = Object.entries(message.headers).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...message, headers: Object.fromEntries([...kept, ...injection.fields]) };
}

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

// Who we are, whether the conventions for messaging hold, and our default for `maxBytes`.
const PIGEON = {
  name: "pigeon",
  scope: "pigeon",
  version: "1.0.0",
  messaging: true,
  maxBytes: 8192,
};

// Names are lower case here and any case on the wire; what is found under one twice is given twice.
const getter = new SanitizingGetter<Message>({
  read: ({ headers }, key) =>
    Object.entries(headers).flatMap(([name, value]) => (name.toLowerCase() === key ? value : [])),
  keys: ({ headers }) => Object.keys(headers),
});

export function traceHandler<T>(
  handle: (message: Message) => T,
  options: TracingOptions<Message> = {},
): (message: Message) => T {
  const boundary = new Instrumenter(PIGEON, options);
  return (message) => {
    const arrival = boundary.extract(message, getter, message);
    if (arrival.spanInProgress !== undefined) return handle(message);
    const { parent, links } = arrival;
    const plan = { name: "process pigeon", kind: SpanKind.CONSUMER, parent, links };
    return withSpan(boundary.startSpan(plan, arrival), () => handle(message));
  };
}

export function traceSender<T>(
  send: (message: Message) => T,
  options: TracingOptions = {},
): (message: Message) => T {
  const boundary = new Instrumenter(PIGEON, options);
  return (message) => {
    const plan = { name: "send pigeon", kind: SpanKind.PRODUCER, parent: context.active() };
    const open = boundary.startSpan(plan);
    return withSpan(open, () => send(carrying(message, boundary.inject(open.context))));
  };
}

// Nothing to send: the very message goes. Else a copy does, without what an earlier trace left in it.
function carrying(message: Message, injection: Injection | undefined): Message {
  if (injection === undefined) return message;
  const kept = Object.entries(message.headers).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...message, headers: Object.fromEntries([...kept, ...injection.fields]) };
}

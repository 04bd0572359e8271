import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Context,
  context,
  createContextKey,
  isSpanContextValid,
  type Span,
  trace,
} from "@opentelemetry/api";
import {
  type ActiveSpan,
  type ExtractionResult,
  Instrumenter,
  isTracingSuppressed,
} from "@traceferry/core";
import { httpEndAttributes, httpSpanName, httpSpanStart, requestPath } from "../attributes.js";
import { httpGetter, property } from "../carrier/index.js";
import {
  CALL_SETTINGS,
  type HttpOptions,
  resolveHttpOptions,
  type TracingModuleOptions,
} from "../options.js";
import { findMessageScope, MessageScope } from "./message-scope.js";

/** A request and its response. */
export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The request object of Express or Fastify, which knows the route once that is matched. */
  readonly frameworkRequest: unknown;
}

/** Runs HTTP requests in their sender's trace, each inside a SERVER span. */
export class HttpIncoming {
  readonly #instrumenter: Instrumenter<unknown>;
  readonly #options: HttpOptions;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: TracingModuleOptions = {}) {
    this.#options = resolveHttpOptions(options);
    this.#instrumenter = new Instrumenter(CALL_SETTINGS, options);
  }

  /** Starts the span of a request, and calls `next` in its context. For hooks of the HTTP adapter. */
  run(exchange: HttpExchange, next: () => void): void {
    const active = context.active();
    const requestContext = this.start(exchange, active);
    if (requestContext === active) next();
    else context.with(requestContext, next);
  }

  /**
   * Starts the span of a request and returns the context to handle it in; the active one where tracing is
   * suppressed, or the request has a span already. Never throws: a fault is reported.
   */
  start(exchange: HttpExchange, active: Context): Context {
    try {
      if (isTracingSuppressed(active)) return active;
      const scope = findMessageScope(active, exchange.request);
      if (scope === undefined) return this.#startRequest(exchange, active);
      // A later hook may know the route: Fastify hands its middleware Node's request, which does not.
      scope.frameworkRequest = exchange.frameworkRequest;
      return active;
    } catch (error) {
      this.#instrumenter.reporter.fault("start span", error);
      return active;
    }
  }

  #startRequest(exchange: HttpExchange, active: Context): Context {
    const { request, response } = exchange;
    const instrumented = findInstrumentedRequest(active);
    if (instrumented !== undefined) {
      const scope = this.#createScopeWithoutSpan(exchange, instrumented.span);
      // Prepended to the listener of instrumentation-http, which names the span after this route and ends it.
      response.prependOnceListener("close", () => {
        const route = routeOf(scope.frameworkRequest);
        if (route !== undefined) instrumented.route = route;
      });
      return scope.addTo(active);
    }
    const extraction = this.#instrumenter.extract(request.headers, httpGetter, request, active);
    const { spanInProgress, parent } = extraction;
    if (spanInProgress !== undefined) {
      return this.#createScopeWithoutSpan(exchange, spanInProgress).addTo(active);
    }
    // A response that is destroyed emits no more "close", which would end the span: the caller left while guards ran.
    if (response.destroyed || this.#isIgnored(request)) {
      return this.#createScopeWithoutSpan(exchange, trace.getSpan(parent)).addTo(parent);
    }
    return this.#startSpan(exchange, extraction);
  }

  // For a request that gets no span of ours. `span` is the one whose trace id the response header tells.
  #createScopeWithoutSpan(
    { request, response, frameworkRequest }: HttpExchange,
    span: Span | undefined,
  ): MessageScope {
    this.#setResponseHeader(response, span);
    const scope = new MessageScope(request);
    scope.frameworkRequest = frameworkRequest;
    return scope;
  }

  #startSpan(exchange: HttpExchange, extraction: ExtractionResult): Context {
    const { request, response } = exchange;
    const activeSpan = this.#instrumenter.startSpan(
      { ...httpSpanStart(request), links: extraction.links, parent: extraction.parent },
      extraction,
    );
    const { reporter } = this.#instrumenter;
    const scope = new MessageScope(request, {
      activeSpan,
      reporter,
      recordEnd: () => this.#recordEnd(exchange, activeSpan, scope),
    });
    scope.frameworkRequest = exchange.frameworkRequest;
    // The one event that always comes: when the caller disconnects, no other does.
    scope.retain();
    response.once("close", () => scope.finish());
    this.#setResponseHeader(response, activeSpan.span);
    return scope.addTo(activeSpan.context);
  }

  #recordEnd(
    { request, response }: HttpExchange,
    activeSpan: ActiveSpan,
    scope: MessageScope,
  ): void {
    const route = routeOf(scope.frameworkRequest);
    const { headersSent, statusCode, writableFinished } = response;
    activeSpan.set(httpEndAttributes(route, headersSent ? statusCode : undefined));
    if (headersSent && statusCode >= 500) {
      // No description without an exception: the conventions want none where the status code says it.
      activeSpan.fail(scope.failed ? scope.error : "", String(statusCode));
    } else if (headersSent && !writableFinished && scope.failed) {
      activeSpan.fail(scope.error);
    }
    if (route !== undefined) activeSpan.span.updateName(httpSpanName(request, route));
  }

  #setResponseHeader(response: ServerResponse, span: Span | undefined): void {
    const name = this.#options.responseHeader;
    if (name === false || span === undefined || response.headersSent) return;
    try {
      const spanContext = span.spanContext();
      if (isSpanContextValid(spanContext)) response.setHeader(name, spanContext.traceId);
    } catch (error) {
      this.#instrumenter.reporter.fault("response header", error);
    }
  }

  #isIgnored(request: IncomingMessage): boolean {
    const { ignore } = this.#options;
    if (ignore.length === 0) return false;
    const path = requestPath(request);
    return ignore.some((rule) => {
      if (typeof rule === "string") return rule === path;
      // `search`, because `test` starts where the last match of a global expression ended.
      if (rule instanceof RegExp) return path.search(rule) >= 0;
      try {
        return rule(request) === true;
      } catch (error) {
        this.#instrumenter.reporter.fault("ignore", error);
        return false;
      }
    });
  }
}

// Returns the route as it was declared, with prefix and version. Express has it in `route`, Fastify in `routeOptions`.
function routeOf(request: unknown): string | undefined {
  const route =
    property(property(request, "route"), "path") ??
    property(property(request, "routeOptions"), "url");
  return typeof route === "string" ? route : undefined;
}

// Equals the key of instrumentation-http in any version, because keys are `Symbol.for(description)`.
const RPC_METADATA = createContextKey("OpenTelemetry SDK Context Key RPC_METADATA");

// The RPC metadata of instrumentation-http. It reads `route` when it ends the span.
interface InstrumentedRequest {
  readonly span: Span;
  route?: string;
}

// Finds the span of instrumentation-http for the request, also one that is not recording.
function findInstrumentedRequest(active: Context): InstrumentedRequest | undefined {
  const rpcMetadata = active.getValue(RPC_METADATA);
  return isInstrumentedRequest(rpcMetadata) ? rpcMetadata : undefined;
}

function isInstrumentedRequest(value: unknown): value is InstrumentedRequest {
  return property(value, "type") === "http" && property(value, "span") !== undefined;
}

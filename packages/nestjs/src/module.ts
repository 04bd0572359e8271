import type { IncomingMessage, ServerResponse } from "node:http";
import {
  ConfigurableModuleBuilder,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from "@nestjs/common";
import { APP_INTERCEPTOR, HttpAdapterHost, ModulesContainer } from "@nestjs/core";
import { wrongOption } from "@traceferry/core";
import type { Subscription } from "rxjs";
import {
  HttpIncoming,
  ProcessingHooks,
  RpcIncoming,
  TracingInterceptor,
} from "./incoming/index.js";
import { TRACING_OPTIONS, type TracingModuleOptions } from "./options.js";

/** As much of Fastify as we use. */
interface Fastify {
  addHook(
    name: "onRequest",
    hook: (
      request: { readonly raw: IncomingMessage },
      reply: { readonly raw: ServerResponse },
      done: () => void,
    ) => void,
  ): unknown;
  /** There when its plugin for middleware is. */
  readonly use?: unknown;
}

/** Puts us where requests and messages come in: into the HTTP adapter, and into each server of messages. */
@Injectable()
class TracingInstaller implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #http: HttpIncoming;
  readonly #hooks: ProcessingHooks;
  readonly #host: HttpAdapterHost;
  readonly #modules: ModulesContainer;
  readonly #servers: Subscription;

  constructor(
    @Inject(HttpIncoming) http: HttpIncoming,
    @Inject(RpcIncoming) rpc: RpcIncoming,
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
    @Inject(ModulesContainer) modules: ModulesContainer,
  ) {
    this.#http = http;
    this.#hooks = new ProcessingHooks(rpc);
    this.#host = host;
    this.#modules = modules;
    // Completes by itself: at once in an application, later in a TestingModule, which has no adapter yet.
    host.init$.subscribe(() => this.#installHttp());
    this.#servers = this.#installRpc();
  }

  // Once more: each hook of Nest has one slot, and others take it in `onModuleInit`. Here alone it would be too
  // late: microservices may be started before the application is initialised.
  onApplicationBootstrap(): void {
    this.#installRpc().unsubscribe();
  }

  // The registry of servers never completes.
  onModuleDestroy(): void {
    this.#servers.unsubscribe();
  }

  #installRpc(): Subscription {
    const servers = this.#modules.getRpcTargetRegistry<unknown>();
    return servers.subscribe((server) => this.#hooks.install(server));
  }

  // Comes before the body parser and the user's middleware.
  #installHttp(): void {
    const adapter = this.#host.httpAdapter;
    // A microservice, or an application context.
    if (!adapter) return;
    const middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => {
      this.#http.run({ request, response, frameworkRequest: request }, next);
    };
    if (adapter.getType() !== "fastify") {
      adapter.use(middleware);
      return;
    }
    const fastify = adapter.getInstance<Fastify>();
    // NestFactory has made middleware a hook of fastify's by now, so that ours would come behind it.
    if (typeof fastify.use === "function") adapter.use(middleware);
    fastify.addHook("onRequest", (request, reply, done) => {
      this.#http.run(
        { request: request.raw, response: reply.raw, frameworkRequest: request },
        done,
      );
    });
  }
}

/** What is decided with the module itself, before any provider of options is asked. */
interface TracingModuleExtras {
  /** Whether other modules see the options without importing this one. Default: `true`. */
  readonly isGlobal?: boolean;
  /**
   * Whether a span tells what its handler threw, by a `TracingInterceptor` for all handlers. Without it a
   * request still ends as an error by its status, a call of gRPC by its status code, and an event of Kafka
   * because it fails; a request over any other transport looks well. Default: `true`.
   */
  readonly exceptions?: boolean;
}

const { ConfigurableModuleClass, OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<TracingModuleOptions>({
    moduleName: "Tracing",
    optionsInjectionToken: TRACING_OPTIONS,
  })
    .setClassMethodName("forRoot")
    .setFactoryMethodName("createTracingOptions")
    .setExtras<TracingModuleExtras>(
      { isGlobal: true, exceptions: true },
      (definition, { isGlobal = true, exceptions = true }) => ({
        ...definition,
        providers: [...(definition.providers ?? []), ...(exceptions ? [GLOBAL_INTERCEPTOR] : [])],
        exports: [TRACING_OPTIONS],
        global: isGlobal,
      }),
    )
    .build();

const GLOBAL_INTERCEPTOR = { provide: APP_INTERCEPTOR, useClass: TracingInterceptor };

/**
 * Traces a Nest application: HTTP requests from before its middleware on, and messages of its microservices.
 * Import it once, in the root module: `TracingModule.forRoot()`, or `TracingModule.forRootAsync(...)` where the
 * options come from other providers.
 */
@Module({
  providers: [
    {
      provide: HttpIncoming,
      useFactory: (options: TracingModuleOptions) => new HttpIncoming(options),
      inject: [TRACING_OPTIONS],
    },
    {
      provide: RpcIncoming,
      useFactory: (options: TracingModuleOptions) => new RpcIncoming(options),
      inject: [TRACING_OPTIONS],
    },
    TracingInstaller,
  ],
  exports: [HttpIncoming, RpcIncoming],
})
export class TracingModule extends ConfigurableModuleClass {
  /** @throws TypeError when an option is wrong; it names the option and its value. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    // Only to check them: here the stack says who gave them.
    new HttpIncoming(options);
    for (const name of ["isGlobal", "exceptions"] as const) {
      const value: unknown = options[name];
      if (value !== undefined && typeof value !== "boolean") {
        throw wrongOption(name, "true or false", value);
      }
    }
    return { ...ConfigurableModuleClass.forRoot(options), module: TracingModule };
  }
}

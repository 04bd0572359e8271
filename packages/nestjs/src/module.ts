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

/** As much as we use of Fastify. */
interface Fastify {
  addHook(
    name: "onRequest",
    hook: (
      request: { readonly raw: IncomingMessage },
      reply: { readonly raw: ServerResponse },
      done: () => void,
    ) => void,
  ): unknown;
  /** There once its plugin for middleware is registered. */
  readonly use?: unknown;
}

/** Installs the middleware in the HTTP adapter, and the message hooks in each server of messages. */
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
    // Completes by itself: at once in an application, later in a TestingModule, which gets its adapter late.
    host.init$.subscribe(() => this.#installHttp());
    this.#servers = this.#installRpc();
  }

  // Installs again, around hooks that other code has set since in `onModuleInit`, as each hook has one slot.
  // Installing only here would be too late: microservices may start before the application is initialised.
  onApplicationBootstrap(): void {
    this.#installRpc().unsubscribe();
  }

  // The registry of servers never completes by itself.
  onModuleDestroy(): void {
    this.#servers.unsubscribe();
  }

  #installRpc(): Subscription {
    const servers = this.#modules.getRpcTargetRegistry<unknown>();
    return servers.subscribe((server) => this.#hooks.install(server));
  }

  // Runs before the body parser and the user's middleware.
  #installHttp(): void {
    const adapter = this.#host.httpAdapter;
    // There is none in a microservice, nor in an application context.
    if (!adapter) return;
    const middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => {
      this.#http.run({ request, response, frameworkRequest: request }, next);
    };
    if (adapter.getType() !== "fastify") {
      adapter.use(middleware);
      return;
    }
    const fastify = adapter.getInstance<Fastify>();
    // NestFactory has registered middleware as a hook of Fastify by now, so our own hook would run after the user's.
    if (typeof fastify.use === "function") adapter.use(middleware);
    fastify.addHook("onRequest", (request, reply, done) => {
      this.#http.run(
        { request: request.raw, response: reply.raw, frameworkRequest: request },
        done,
      );
    });
  }
}

/** Options that shape the module itself, so that they cannot come from other providers. */
interface TracingModuleExtras {
  /** Makes the options visible to modules that do not import this one. Default: `true`. */
  readonly isGlobal?: boolean;
  /**
   * Records on spans what handlers throw, by a `TracingInterceptor` for all handlers. With `false` a failed HTTP
   * request or gRPC call is still an error by its status code, and a failed Kafka event because it rejects; a
   * failed request over any other transport is not marked. Default: `true`.
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
 * Traces the HTTP requests of a Nest application, its middleware included, and the messages of its microservices.
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
  /**
   * Returns the module with these options.
   *
   * @throws TypeError when an option is wrong; it names the option and its value.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    // Checks the options here, where the stack trace shows who gave them.
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

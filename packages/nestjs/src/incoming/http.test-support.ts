import { once } from "node:events";
import type { ServerResponse } from "node:http";
import {
  All,
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  HttpCode,
  HttpException,
  type INestApplication,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  Param,
  Post,
  Res,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from "@nestjs/common";
import { type AbstractHttpAdapter, NestFactory } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { from, map, mergeMap, type Observable, tap } from "rxjs";
import { TracingModule } from "../module.js";
import type { TracingModuleOptions } from "../options.js";
import { observe } from "../recording.test-support.js";
import { TracingInterceptor } from "./interceptor.js";

@Injectable()
class ObservingGuard implements CanActivate {
  canActivate(): boolean {
    observe("guard");
    return true;
  }
}

@Injectable()
class ObservingInterceptor implements NestInterceptor {
  intercept(_execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    observe("interceptor");
    return next.handle().pipe(tap(() => observe("operator after the handler")));
  }
}

@Catch(RangeError)
class ObservingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    observe("filter");
    const response = host.switchToHttp().getResponse();
    (response.status?.(418) ?? response.code(418)).send({ refused: true });
  }
}

/** Holds a request until its caller has disconnected. */
class WaitingGuard implements CanActivate {
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    observe("waiting guard");
    const response = execution.switchToHttp().getResponse();
    await once(response.raw ?? response, "close");
    return true;
  }
}

/** Closes the connection in the middle of the response. */
@Catch()
class DisconnectingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse();
    (response.raw ?? response).destroy();
  }
}

class ForbiddingGuard implements CanActivate {
  canActivate(): boolean {
    throw new ForbiddenException();
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  constructor() {
    observe("request-scoped constructor");
  }
}

@Controller("orders")
@UseGuards(ObservingGuard)
@UseInterceptors(ObservingInterceptor)
class Orders {
  @Get(":id")
  async one(@Param("id") id: string): Promise<unknown> {
    observe("handler");
    await new Promise(setImmediate);
    observe("handler after await");
    return { id };
  }

  @Get(":id/lines")
  lines(): Observable<unknown> {
    return from([1]).pipe(
      mergeMap(async (line) => {
        await new Promise(setImmediate);
        observe("returned observable");
        return line;
      }),
      map((line) => ({ line })),
    );
  }

  @Get(":id/refused")
  @UseFilters(ObservingFilter)
  refused(): never {
    throw new RangeError("out of stock");
  }

  @Get(":id/forbidden")
  @UseGuards(ForbiddingGuard)
  forbidden(): void {}

  @Get(":id/late")
  @UseGuards(WaitingGuard)
  late(): unknown {
    observe("late handler");
    return {};
  }

  @Get(":id/cut")
  @UseFilters(DisconnectingFilter)
  cut(@Res() response: { readonly raw?: ServerResponse } & ServerResponse): never {
    (response.raw ?? response).writeHead(200).write("half of");
    throw new TypeError("stock is undefined");
  }

  @All(":id/purged")
  purged(): unknown {
    return {};
  }

  @Get(":id/bad")
  bad(): never {
    throw new BadRequestException("no such size");
  }

  @Get(":id/broken")
  broken(): never {
    throw new TypeError("stock is undefined");
  }

  @Get(":id/unavailable")
  unavailable(): never {
    throw new HttpException("try later", 503);
  }

  @Get(":id/closed")
  @HttpCode(503)
  closed(): unknown {
    return {};
  }

  @Get(":id/slow")
  slow(): Promise<never> {
    observe("slow handler");
    return new Promise(() => {});
  }

  @Post()
  order(): unknown {
    return {};
  }
}

@Controller("scoped")
class Scoped {
  constructor(@Inject(PerRequest) _perRequest: PerRequest) {}
  @Get()
  get(): unknown {
    return {};
  }
}

interface StartedApp extends AsyncDisposable {
  readonly url: string;
  readonly app: INestApplication;
}

/** Starts an application that observes each step of its requests. */
export async function startHttp(
  adapter: AbstractHttpAdapter,
  options?: TracingModuleOptions,
  tracedBy: "module" | "interceptor" | "nobody" | "both" = "module",
): Promise<StartedApp> {
  @Module({
    imports: tracedBy === "module" || tracedBy === "both" ? [TracingModule.forRoot(options)] : [],
    controllers: [Orders, Scoped],
    providers: [PerRequest],
  })
  class App {}
  const app = await NestFactory.create(App, adapter, { logger: false });
  if (tracedBy === "interceptor" || tracedBy === "both")
    app.useGlobalInterceptors(new TracingInterceptor());
  app.use((_request: unknown, _response: unknown, next: () => void) => {
    observe("middleware");
    next();
  });
  await app.listen(0, "127.0.0.1");
  return { url: await app.getUrl(), app, [Symbol.asyncDispose]: () => app.close() };
}

/** The platforms on which every test of HTTP runs. */
export const platforms: [name: string, adapter: () => AbstractHttpAdapter][] = [
  ["express", () => new ExpressAdapter()],
  ["fastify", () => new FastifyAdapter()],
];

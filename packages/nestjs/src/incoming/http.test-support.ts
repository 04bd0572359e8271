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
import { look } from "../recorded.test-support.js";
import { TracingInterceptor } from "./interceptor.js";

@Injectable()
class LookingGuard implements CanActivate {
  canActivate(): boolean {
    look("guard");
    return true;
  }
}

@Injectable()
class LookingInterceptor implements NestInterceptor {
  intercept(_execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    look("interceptor");
    return next.handle().pipe(tap(() => look("operator after the handler")));
  }
}

@Catch(RangeError)
class LookingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    look("filter");
    const answer = host.switchToHttp().getResponse();
    (answer.status?.(418) ?? answer.code(418)).send({ refused: true });
  }
}

/** Lets a request wait until its caller has gone. */
class Wait implements CanActivate {
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    look("waiting guard");
    const response = execution.switchToHttp().getResponse();
    await once(response.raw ?? response, "close");
    return true;
  }
}

/** Leaves an answer as it is, without an end. */
@Catch()
class CuttingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    const answer = host.switchToHttp().getResponse();
    (answer.raw ?? answer).destroy();
  }
}

class Refuse implements CanActivate {
  canActivate(): boolean {
    throw new ForbiddenException();
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  constructor() {
    look("request-scoped constructor");
  }
}

@Controller("orders")
@UseGuards(LookingGuard)
@UseInterceptors(LookingInterceptor)
class Orders {
  @Get(":id")
  async one(@Param("id") id: string): Promise<unknown> {
    look("handler");
    await new Promise(setImmediate);
    look("handler after await");
    return { id };
  }

  @Get(":id/lines")
  lines(): Observable<unknown> {
    return from([1]).pipe(
      mergeMap(async (line) => {
        await new Promise(setImmediate);
        look("returned observable");
        return line;
      }),
      map((line) => ({ line })),
    );
  }

  @Get(":id/refused")
  @UseFilters(LookingFilter)
  refused(): never {
    throw new RangeError("out of stock");
  }

  @Get(":id/forbidden")
  @UseGuards(Refuse)
  forbidden(): void {}

  @Get(":id/late")
  @UseGuards(Wait)
  late(): unknown {
    look("late handler");
    return {};
  }

  @Get(":id/cut")
  @UseFilters(CuttingFilter)
  cut(@Res() answer: { readonly raw?: ServerResponse } & ServerResponse): never {
    (answer.raw ?? answer).writeHead(200).write("half of");
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
    look("slow handler");
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

interface Started extends AsyncDisposable {
  readonly url: string;
  readonly app: INestApplication;
}

/** An application that listens, and asks whoever passes to look where it is. */
export async function startHttp(
  adapter: AbstractHttpAdapter,
  options?: TracingModuleOptions,
  by: "module" | "interceptor" | "nobody" | "both" = "module",
): Promise<Started> {
  @Module({
    imports: by === "module" || by === "both" ? [TracingModule.forRoot(options)] : [],
    controllers: [Orders, Scoped],
    providers: [PerRequest],
  })
  class App {}
  const app = await NestFactory.create(App, adapter, { logger: false });
  if (by === "interceptor" || by === "both") app.useGlobalInterceptors(new TracingInterceptor());
  app.use((_request: unknown, _response: unknown, next: () => void) => {
    look("middleware");
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

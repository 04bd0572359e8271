import { Controller, Get } from "@nestjs/common";

/** Answers health checks. */
@Controller()
export class HealthController {
  @Get("healthz")
  alive(): object {
    return { status: "ok" };
  }

  @Get("readyz")
  ready(): object {
    return { status: "ok" };
  }
}

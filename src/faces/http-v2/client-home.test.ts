import { expect, test } from "vitest";
import { startTestService } from "../../../test/support/test-service.ts";
import { ClientHome } from "./client-home.ts";

test("ClientHome: who asks for a discovery URL, or for nothing, is told where there is one", async () => {
  await using service = await startTestService({ clientFaces: [new ClientHome()] });
  for (const path of ["/", "/new?size=3"]) {
    const answer = await fetch(service.clientUrl + path);
    expect(answer.status).toBe(404);
    expect(await answer.text()).toMatch(/^404 page not found\n[\s\S]*\/new on the public listener/);
  }
  expect(await (await fetch(`${service.clientUrl}/nosuch`)).text()).toBe("404 page not found\n");
});

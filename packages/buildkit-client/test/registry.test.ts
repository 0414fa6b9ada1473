import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../src/index.ts";
import { buildkitd, daemons, nonce } from "./daemons.ts";
import { copyOf, define, mkfile, source } from "./graph.ts";
import { startTokenRegistry, type TokenRegistry } from "./token-registry.ts";

const behind = process.env.MELANGE2_TEST_REGISTRY;
const skip = behind === undefined ? "MELANGE2_TEST_REGISTRY is not set" : buildkitd.skip;

describe.skipIf(skip !== "")(`a registry with tokens ${skip}`, () => {
  const user = { username: "u", secret: "p" };
  const image = `${nonce()}:latest`;
  let registry: TokenRegistry;
  beforeAll(async () => {
    registry = await startTokenRegistry(behind as string, user);
    await Promise.all(["open", "closed"].map((place) => push(place, { [registry.host]: user })));
  });
  afterAll(() => registry?.[Symbol.asyncDispose]());

  async function push(place: string, credentials: Record<string, typeof user>): Promise<void> {
    await using client = await connect(buildkitd.address as string);
    const attributes = { name: `${registry.host}/${place}/${image}`, push: "true" };
    const definition = define(mkfile("/word", Buffer.from(`${place} ${image}`)));
    await client.solve(definition, { serve: { credentials }, exports: [{ type: "image", attributes }] });
  }

  it("is not pushed to without credentials", async () => {
    await expect(push("closed", {})).rejects.toThrow(/401|authoriz/i);
  });

  describe.each(daemons)("and $name", ({ address, skip: why }) => {
    it.skipIf(address === undefined)(`gives what each may have ${why}`, async () => {
      await using client = await connect(address as string);
      const pull = async (place: string, credentials?: Record<string, typeof user>) => {
        const serve = credentials === undefined ? {} : { credentials };
        await using job = client.job({ serve });
        const root = await job.solve(define(copyOf(source(`docker-image://${registry.host}/${place}/${image}`))));
        return Buffer.from(await job.readFile(root, "/word")).toString();
      };
      expect(await pull("open")).toBe(`open ${image}`);
      await expect(pull("closed")).rejects.toThrow(/401|authoriz|denied/i);
      expect(await pull("closed", { [registry.host]: user })).toBe(`closed ${image}`);
    });
  });
});

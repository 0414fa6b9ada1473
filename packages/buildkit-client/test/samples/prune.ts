import { connect, parseAddress } from "@melange2/buildkit-client";

const transport = parseAddress(process.argv[2] ?? "docker-container://buildkitd");
await using client = await connect(transport, { signal: AbortSignal.timeout(60_000) });

const info = await client.info();
console.log(`${client.address}: BuildKit ${info?.version ?? "of Docker 20.10"}`);
const month = 30 * 24 * 3600 * 1000;
const pruned = await client.prune({ filter: ["type==regular"], keepMilliseconds: month });
console.log(`${pruned.reduce((sum, { size }) => sum + size, 0)} bytes gone`);

import { test } from "node:test";
import { captureSuite } from "@melange2/testkit";
import again from "./again.ts";

captureSuite({ test: (name, body) => test(name, body), strategy: again });

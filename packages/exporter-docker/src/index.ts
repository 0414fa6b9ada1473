import { docker } from "./docker.ts";

export default docker;

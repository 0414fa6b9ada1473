import { tarball } from "./tarball.ts";

export default tarball;

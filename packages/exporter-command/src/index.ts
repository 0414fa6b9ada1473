import { command } from "./command.ts";

export default command;

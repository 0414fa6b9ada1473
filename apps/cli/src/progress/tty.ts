import { createLogUpdate } from "log-update";
import { printableText } from "../present/printable-text.ts";
import type { Progress } from "./progress.ts";
import { advance, draw, emptyScreen } from "./screen.ts";

/** Finished steps stay as lines; below them the running one with its last output, redrawn ten times a second. */
export function ttyProgress(output: NodeJS.WriteStream): Progress {
  const live = createLogUpdate(output);
  let screen = emptyScreen;
  const redraw = () => {
    const lines = draw(screen, Date.now(), { columns: output.columns ?? 80, rows: output.rows ?? 24 });
    if (lines.length > 0) live(printableText(lines.join("\n")));
    else live.clear();
  };
  const timer = setInterval(redraw, 100);
  timer.unref();
  return {
    onEvent(event) {
      const next = advance(screen, event, Date.now());
      screen = next.screen;
      if (next.lines.length === 0) return;
      live.clear();
      output.write(`${printableText(next.lines.join("\n"))}\n`);
      redraw();
    },
    end() {
      clearInterval(timer);
      live.clear();
      live.done();
    },
  };
}

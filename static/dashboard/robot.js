/* A page whose regions come as HTML: one robot, rollbacks. Ages are counted here. */

import "./actions.js";
import { Live } from "./live.js";
import { Buttons } from "./personal.js";

const buttons = new Buttons(JSON.parse(document.getElementById("first-data").textContent).signatures);
new Live(document.getElementById("live"), { onSignatures: (found) => buttons.take(found) }).start();

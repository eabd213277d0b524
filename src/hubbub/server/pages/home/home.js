/** The home page: examples with this server's own address, and a button to copy each. */

const address = location.origin.replace(/^http/, "ws");
for (const element of document.querySelectorAll("[data-address]")) element.textContent = address;

for (const example of document.querySelectorAll(".example")) {
  const button = example.querySelector("button");
  button.addEventListener("click", () => copy(example.querySelector("code"), button));
}

/** Copies the code; where the browser forbids it, as on plain HTTP, it selects the code instead. */
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

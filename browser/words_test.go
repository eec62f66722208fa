package browser

import "strings"

// words fails the test where words of a page run together, or short ones are broken, and where a button or a box hides some.
func (p *tab) words(v view) {
	p.t.Helper()
	wrong := look[[]string](p, `(() => {
		const wrong = [];
		const boxes = (node, from, to) => {
			const range = document.createRange();
			if (to) { range.setStart(node, from); range.setEnd(node, to); } else range.selectNodeContents(node);
			return [...range.getClientRects()];
		};
		for (const h of document.querySelectorAll("h1")) {
			const want = h.textContent.replace(/[ \n\t]+/g, " ").trim();
			if (h.innerText.trim() !== want) wrong.push("the heading " + JSON.stringify(want) + " is shown as " + JSON.stringify(h.innerText));
		}
		for (const button of document.querySelectorAll(".copy button:not([hidden])")) {
			const text = button.parentElement.querySelector("pre"), b = button.getBoundingClientRect();
			if (boxes(text).some((t) => t.right > b.left && t.left < b.right && t.bottom > b.top && t.top < b.bottom))
				wrong.push("a button covers some of " + text.textContent.slice(0, 80));
		}
		for (const box of document.querySelectorAll(".block > .scroll"))
			if (box.scrollHeight > box.clientHeight + 1) wrong.push("a box of " + box.clientHeight + " px hides some of " + box.scrollHeight + " px: " + box.innerText.slice(0, 80));
		for (const cell of document.querySelectorAll(".plain tbody th")) {
			const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
			while (texts.nextNode())
				for (const word of texts.currentNode.data.matchAll(/[^\s-]{1,16}(?![^\s-])/g))
					if (boxes(texts.currentNode, word.index, word.index + word[0].length).length > 1) wrong.push(word[0] + " is broken in two");
		}
		return wrong.slice(0, 5);
	})()`)
	if len(wrong) > 0 {
		p.t.Errorf("%s: %s", v, strings.Join(wrong, "\n\t"))
	}
}

/* Two settlements or two KPIs side by side: the address has the choice, data/compare.js the figures. */
(function () {
  "use strict";
  var form = document.getElementById("compare");
  if (!form || !window.qala) { return; }
  var field = form.elements, result = document.getElementById("compared"), words = JSON.parse(document.getElementById("words").textContent);
  var make = qala.make, kinds = ["settlements", "kpis"], data = null, asked = false;
  qala.compare = function (given) { data = given; show(); };

  function said(code, parts) { return words[code].replace(/\{(\w+)\}/g, function (_, name) { return parts[name]; }); }
  function number(value, unit) { // as the pages write numbers
    var size = Math.abs(value);
    return qala.written(value, unit === "PT" ? 1 : size === Math.round(size) || size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  }
  function each(list, go) { Array.prototype.forEach.call(list, go); }
  function has(select, value) { return Array.prototype.some.call(select.options, function (one) { return one.value === value; }); }
  function read() { // the choice in the address, if it is one
    var found = new URLSearchParams(location.hash.slice(1)), a = found.get("a"), b = found.get("b"), year = found.get("y");
    kinds.forEach(function (kind) {
      if (has(field[kind + "-a"], a) && has(field[kind + "-b"], b)) {
        field.what.value = kind;
        field[kind + "-a"].value = a;
        field[kind + "-b"].value = b;
      }
    });
    if (has(field.year, year)) { field.year.value = year; }
    show();
  }
  function chosen(which) {
    var one = field[field.what.value + "-" + which].selectedOptions[0];
    return one && { code: one.value, name: one.textContent.trim(), group: one.parentNode.label, unit: one.dataset.unit, units: one.dataset.units };
  }
  function value(code, kato) { // [value, state, low, high]: the usual is left out
    var one = ((data.values[field.year.value] || {})[code] || {})[kato];
    return one && { value: one[0], status: one[1] || "A", low: one.length > 2 ? one[2] : one[0], high: one.length > 2 ? one[3] : one[0] };
  }
  function under(text, more) { return make("small", { "class": "under" + (more || ""), text: text }); }
  function cell(one, unit) {
    if (!one) { return make("td", { "class": "n none", text: words.missing }); }
    return make("td", { "class": "n" }, [
      make("data", { value: one.value, text: number(one.value, unit) + (unit === "PT" ? "\u00a0%" : "") }),
      one.low !== one.high && under(said("between", { low: number(one.low, unit), high: number(one.high, unit) })),
      one.status !== "A" && under(words.states[one.status], " state state-" + one.status)
    ]);
  }
  function link(kind, option) { return make("a", { href: kind + "/" + option.value + ".html", text: option.textContent.trim() }); }
  function warn(text) { result.appendChild(make("p", { "class": "warning", text: text })); }
  // a table with a part for each group of options that has rows
  function table(heads, groups, row) {
    var made = make("table", {}, [make("caption", { text: field.year.value }), make("thead", {}, [make("tr", {}, heads.map(function (head, i) { return make("th", { scope: "col", "class": i ? "n" : "", text: head }); }))])]);
    each(groups, function (group, i) {
      var rows = Array.prototype.map.call(group.children, function (one) { return row(one, i, group.label); }).filter(Boolean);
      if (rows.length) { made.appendChild(make("tbody", {}, [make("tr", { "class": "heads" }, [make("th", { scope: "rowgroup", colspan: heads.length, text: group.label })])].concat(rows))); }
    });
    return made;
  }
  function finish(made, marked, before) {
    if (!made.tBodies.length) { warn(words.none); return; }
    result.appendChild(before());
    if (marked) { warn(words.marked); }
    result.appendChild(make("div", { "class": "scroll", role: "region", tabindex: "0", "aria-label": words.show }, [made]));
  }
  function isMarked(one) { return one && one.status !== "A"; }
  function settlements(a, b) {
    var marked = false, count = [0, 0, 0];
    if (a.group !== b.group) { warn(words.groups); }
    finish(table([words.kpi, a.name, b.name, words.outcome], field["kpis-a"].children, function (kpi) {
      var first = value(kpi.value, a.code), second = value(kpi.value, b.code), unit = kpi.dataset.unit, found = "\u2014", which;
      if (!first && !second) { return null; }
      if (first && second) {
        which = first.low > second.high || second.low > first.high ? Number((first.value > second.value) !== (kpi.dataset.better === "higher")) : 2;
        count[which]++;
        found = [a.name, b.name, words.uncertain][which];
      }
      marked = marked || isMarked(first) || isMarked(second);
      return make("tr", {}, [make("th", { scope: "row" }, [link("kpi", kpi), under(kpi.dataset.units)]), cell(first, unit), cell(second, unit), make("td", { "class": "n", text: found })]);
    }), marked, function () {
      return make("p", { "class": "lead", text: words.outcome + ": " + a.name + " \u2014 " + count[0] + ", " + b.name + " \u2014 " + count[1] + ", " + words.uncertain + " \u2014 " + count[2] });
    });
  }
  function kpis(a, b) {
    var marked = false, points = [];
    if (a.unit !== b.unit) { warn(words.units); }
    finish(table([words.settlement, a.name + ", " + a.units, b.name + ", " + b.units], field["settlements-a"].children, function (place, group, label) {
      var first = value(a.code, place.value), second = value(b.code, place.value);
      if (!first || !second) { return null; }
      marked = marked || isMarked(first) || isMarked(second);
      points.push({ x: first.value, y: second.value, name: place.textContent.trim(), group: group, label: label });
      return make("tr", {}, [make("th", { scope: "row" }, [link("settlement", place)]), cell(first, a.unit), cell(second, b.unit)]);
    }), marked, function () { return scatter(points, a, b); });
  }
  function draw(tag, attributes, children) {
    var node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.keys(attributes).forEach(function (key) { if (key === "text") { node.textContent = attributes.text; } else { node.setAttribute(key, attributes[key]); } });
    (children || []).forEach(function (child) { node.appendChild(child); });
    return node;
  }
  function shape(group, x, y) { // a dot, a square, a triangle: groups are told apart without colour
    return group === 0 ? draw("circle", { cx: x, cy: y, r: 5, fill: "#1f5fa8" })
      : draw("path", { d: group === 1 ? "M" + (x - 5) + " " + (y - 5) + "h10v10h-10z" : "M" + x + " " + (y - 6) + "l6 11h-12z", fill: "#fff", stroke: group === 1 ? "#1f5fa8" : "#1b2733", "stroke-width": 2 });
  }
  function scatter(points, a, b) {
    var wide = 360, foot = 266, left = 58, title = said("scatter", { first: a.name, second: b.name }), seen = {}, marks = [], keys = [];
    function scale(key, from, to) {
      var all = points.map(function (p) { return p[key]; }), low = Math.min.apply(null, all), top = Math.max.apply(null, all), spare = (top - low) * 0.08 || Math.abs(top) * 0.1 || 1;
      return { low: low - spare, span: top - low + 2 * spare, at: function (v) { return from + (to - from) * (v - low + spare) / (top - low + 2 * spare); } };
    }
    var x = scale("x", left, wide - 10), y = scale("y", foot, 10);
    [0.1, 0.5, 0.9].forEach(function (part) {
      var v = x.low + part * x.span, w = y.low + part * y.span;
      marks.push(draw("path", { d: "M" + x.at(v) + " 10V" + foot + "M" + left + " " + y.at(w) + "H" + (wide - 10), stroke: "#d5dbe1" }),
        draw("text", { x: x.at(v), y: foot + 16, "text-anchor": "middle", text: number(v, a.unit) }), draw("text", { x: left - 5, y: y.at(w) + 4, "text-anchor": "end", text: number(w, b.unit) }));
    });
    points.forEach(function (p) {
      marks.push(draw("g", {}, [draw("title", { text: p.name + ": " + number(p.x, a.unit) + "; " + number(p.y, b.unit) }), shape(p.group, x.at(p.x), y.at(p.y))]));
      if (!seen[p.group]) { seen[p.group] = keys.push(make("li", {}, [draw("svg", { width: 16, height: 16, "aria-hidden": "true" }, [shape(p.group, 8, 8)]), document.createTextNode(" " + p.label)])); }
    });
    return make("figure", {}, [make("figcaption", { text: title }), draw("svg", { "class": "chart", role: "img", "aria-label": title, viewBox: "0 0 360 300", width: wide, height: 300, "font-size": 12, fill: "#1b2733" }, marks), make("ul", { "class": "legend" }, keys)]);
  }
  function show() {
    var kind = field.what.value, a = chosen("a"), b = chosen("b");
    ["settlements", "kpis"].forEach(function (one) { document.getElementById("choose-" + one).hidden = one !== kind; });
    if (!data) {
      if (!asked) { document.head.appendChild(make("script", { src: form.dataset.source })).addEventListener("error", function () { warn(words.unread); }); }
      asked = true;
      return;
    }
    result.replaceChildren();
    if (!a || !b) { return; }
    result.appendChild(make("h2", { text: a.name + " \u2014 " + b.name }));
    if (a.code === b.code) { warn(words.same); } else { (kind === "kpis" ? kpis : settlements)(a, b); }
  }
  kinds.forEach(function (kind) { field[kind + "-b"].selectedIndex = 1; });
  form.hidden = false;
  form.addEventListener("change", function () {
    var a = chosen("a"), b = chosen("b");
    if (a && b) { location.hash = "a=" + a.code + "&b=" + b.code + "&y=" + field.year.value; }
    show();
  });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", read);
  read();
}());

// Doctor: a view that only says whether views work here. state.rows: [{what, wanted, found, advice}].
import { make, view } from './kit/frame.js';

function setup(v) {
  const head = make('tr', {}, ...['', 'wanted', 'found', 'to do'].map((text) => make('th', { scope: 'col' }, text)));
  const body = v.state.rows.map((r) => make('tr', {}, make('th', { scope: 'row' }, r.what), ...[r.wanted, r.found, r.advice || '✓'].map((text) => make('td', {}, text))));
  v.stage.append(make('div', { class: 'hk-table', role: 'region', tabindex: 0, 'aria-label': 'what is here' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body))));
  const wrong = v.state.rows.filter((r) => r.advice).length, start = performance.now();
  const say = (kernel) => v.caption(`The browser draws this: views are loaded. ${kernel} ${wrong ? `${wrong} of the lines above need something.` : 'Nothing is missing.'}`);
  say('The kernel has not answered yet.');
  v.ask({}).then((told) => say(told ? `The kernel answers in ${Math.round(performance.now() - start)} ms.` : 'There is no kernel behind this page.'));
}

export default { render: view(setup) };

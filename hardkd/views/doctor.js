// Doctor: a view that only says whether views work here. state.rows: [{what, wanted, found, advice}].
import { view, make } from './kit/frame.js';

const HEADS = ['', 'wanted', 'found', 'to do'];
function findings(rows) {
  const head = make('tr', {}, ...HEADS.map((text) => make('th', { scope: 'col' }, text)));
  const cells = ({ wanted, found, advice }) => [wanted, found, advice || '✓'].map((text) => make('td', {}, text));
  const body = rows.map((r) => make('tr', {}, make('th', { scope: 'row' }, r.what), ...cells(r)));
  const table = make('table', {}, make('thead', {}, head), make('tbody', {}, ...body));
  return make('div', { class: 'hk-table', role: 'region', tabindex: 0, 'aria-label': 'what is here' }, table);
}

function setup(v) {
  const { rows } = v.state, wrong = rows.filter((r) => r.advice).length, start = performance.now();
  v.stage.append(findings(rows));
  const verdict = wrong ? `${wrong} of the lines above need something.` : 'Nothing is missing.';
  const say = (kernel) => v.caption(`The browser draws this: views are loaded. ${kernel} ${verdict}`);
  say('The kernel has not answered yet.');
  v.ask({}).then((answer) => {
    const time = `The kernel answers in ${Math.round(performance.now() - start)} ms.`;
    say(answer ? time : 'There is no kernel behind this page.');
  });
}

export default { render: view(setup) };

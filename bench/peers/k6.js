// k6 with the xk6-sse extension. A script's clock counts in milliseconds.
import sse from 'k6/x/sse';
import { Trend, Counter } from 'k6/metrics';

const ttft = new Trend('ttft');
const short = new Counter('short_answers');
const streams = parseInt(__ENV.STREAMS);
const tokens = parseInt(__ENV.TOKENS);

export const options = {
  summaryTrendStats: ['count', 'avg', 'med', 'p(99)', 'max'],
  scenarios: {
    streams: {
      executor: 'constant-vus',
      vus: streams,
      duration: __ENV.HOLD,
      gracefulStop: '60s',
    },
  },
};

const body = JSON.stringify({
  model: 'sim-8b',
  messages: [{ role: 'user', content: 'How long does it take you to answer this?' }],
  max_tokens: tokens,
  ignore_eos: true,
  stream: true,
  stream_options: { include_usage: true },
});

export default function () {
  let received = 0;
  const start = Date.now();
  sse.open(
    `${__ENV.URL}/chat/completions`,
    { method: 'POST', body: body, headers: { 'Content-Type': 'application/json' } },
    (client) => {
      client.on('event', (event) => {
        const now = Date.now();
        if (event.data === '[DONE]') {
          client.close();
          return;
        }
        const choices = JSON.parse(event.data).choices;
        if (choices.length > 0 && choices[0].delta.content) {
          received++;
          if (received === 1) ttft.add(now - start);
        }
      });
    },
  );
  if (received !== tokens) short.add(1);
}

export function handleSummary(data) {
  return { [__ENV.OUT]: JSON.stringify(data.metrics) };
}

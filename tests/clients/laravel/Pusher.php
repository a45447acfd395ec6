<?php
// Stands in for pusher/pusher-php-server, which no Debian package carries: the five methods that
// Laravel's broadcaster calls, with that library's signatures, requests and exception.

namespace Pusher;

use RuntimeException;

class ApiErrorException extends RuntimeException
{
}

class Pusher
{
    private const TIMEOUT_SECONDS = 10;

    private array $options;

    public function __construct(private string $key, private string $secret, private string $appId, array $options = [])
    {
        $this->options = $options + ['scheme' => 'http', 'host' => '127.0.0.1', 'port' => 6001];
    }

    public function trigger($channels, string $event, $data, array $params = []): object
    {
        $body = ['name' => $event, 'data' => json_encode($data, JSON_THROW_ON_ERROR), 'channels' => (array) $channels];

        return $this->post('/events', json_encode($body + $params, JSON_THROW_ON_ERROR));
    }

    public function socket_auth(string $channel, string $socketId): string
    {
        return $this->authorizeChannel($channel, $socketId);
    }

    public function presence_auth(string $channel, string $socketId, $userId, $userInfo = null): string
    {
        return $this->authorizePresenceChannel($channel, $socketId, $userId, $userInfo);
    }

    public function authorizeChannel(string $channel, string $socketId): string
    {
        return json_encode(['auth' => $this->sign("$socketId:$channel")]);
    }

    public function authorizePresenceChannel(string $channel, string $socketId, $userId, $userInfo = null): string
    {
        $data = json_encode(['user_id' => $userId] + ($userInfo ? ['user_info' => $userInfo] : []));

        return json_encode(['auth' => $this->sign("$socketId:$channel:$data"), 'channel_data' => $data]);
    }

    private function sign(string $text): string
    {
        return $this->key . ':' . hash_hmac('sha256', $text, $this->secret);
    }

    private function post(string $path, string $body): object
    {
        $path = "/apps/{$this->appId}$path";
        $query = http_build_query([
            'auth_key' => $this->key,
            'auth_timestamp' => time(),
            'auth_version' => '1.0',
            'body_md5' => md5($body),
        ]);
        $query .= '&auth_signature=' . hash_hmac('sha256', "POST\n$path\n$query", $this->secret);
        ['scheme' => $scheme, 'host' => $host, 'port' => $port] = $this->options;
        $curl = curl_init("$scheme://$host:$port$path?$query");
        curl_setopt_array($curl, [
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => self::TIMEOUT_SECONDS,
        ]);
        $answer = curl_exec($curl);
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        if ($answer === false || $status !== 200) {
            throw new ApiErrorException($answer === false ? curl_error($curl) : $answer, $status);
        }

        return json_decode($answer, false, 512, JSON_THROW_ON_ERROR);
    }
}
